"""The gateway's end of a live actor, whoever found it.

`http_answers` answers HTTP, `websocket` carries client sockets, which outlive their generations (`client_socket`, `socket_table`);
`reach` is what both ask for a generation. No module here knows a host.
"""
