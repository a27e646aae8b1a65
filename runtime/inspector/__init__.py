"""The inspector of one actor: an HTTP API and a WebSocket protocol for operators and tools."""
