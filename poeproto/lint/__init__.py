"""The strict reading: rules of the protocol as data, and what applies them to requests, events and settings."""
