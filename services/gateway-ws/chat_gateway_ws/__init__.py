"""The Socket.IO gateway: live connections, ordered fan-out, presence."""
