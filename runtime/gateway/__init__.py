"""The gateway's end of a live actor, whoever found it.

`face` answers HTTP, `websocket` carries client sockets, which outlive the generations they talk to (`client_socket`, `socket_table`);
`reach` is what both ask for a generation. No module here knows a host.
"""
