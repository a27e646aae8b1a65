"""One pytest process: which tests it holds, the loop they run on, and how each comes to its verdict."""
