"""digest: collects many feeds and mails each subscriber one readable digest, once, provably."""

__version__ = "0.1.0"
DISTRIBUTION = "digest-newsletter"  # on the package index `digest` is another program
