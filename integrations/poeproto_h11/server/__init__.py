"""The embedded server over h11, on asyncio and trio."""
