"""The judge's own codecs, written from the specification and held to the bytes of the npm client.

They share nothing with the runtime that is judged: a fault in its wire formats cannot hide in ours. Decoding is strict. An unknown member
or tag, a wrong type or a byte too many raises `SchemaError` with the rule that is broken.
"""
