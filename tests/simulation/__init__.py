"""Histories of delivery in virtual time: real admission, editions, delivery and database, a scripted world around them.

`hub` is the time, `mail` the servers, `world` knows our own internals, `history` draws what happens from a seed,
`oracles` judges what came of it by what the servers saw, `bugs` are errors put in on purpose, to be found.
"""
