"""One run on several machines: which suites each of them takes, and how long suites take."""
