"""One live actor: its lifecycle, its calls and its parts, each of which knows only what it uses of the others."""
