"""The client over h11, on asyncio, trio and blocking sockets."""
