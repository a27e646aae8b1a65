"""The gateway's end of a live actor, whoever found it.

`http_answers` answers HTTP, `websocket` carries client sockets, which outlive their generations (`client_socket`, `socket_table`);
`live_actor` is what both ask for a generation. No module here knows a host.
"""
