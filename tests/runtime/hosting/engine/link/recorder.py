"""A listener that notes what it hears."""

from __future__ import annotations


class Recorder:
    def __init__(self):
        self.heard = []
        self.on_tunnel = lambda message: None

    def start(self, life, start):
        self.heard.append(("start", life))

    def stop(self, life, reason):
        self.heard.append(("stop", life, reason))

    def tunnel(self, message):
        self.heard.append(("tunnel", message))
        self.on_tunnel(message)

    def lost(self):
        self.heard.append(("lost",))

    def evicted(self, reason):
        self.heard.append(("evicted", reason))

    def of(self, kind):
        return [one for one in self.heard if one[0] == kind]
