"""The processes that tests run in: forked or started, one share each."""
