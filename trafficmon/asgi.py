"""HTTP by Django, WebSocket by Channels."""
