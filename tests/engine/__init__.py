"""Our actors behind a real engine while processes, connections and engines fail: `tox -e engine-tests`."""
