"""Doing stages: worker processes that prepare, train, translate, score and recognise."""
