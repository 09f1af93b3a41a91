"""What `digest demo` needs and nothing else does: feeds, a site that serves them, a server that keeps mail."""
