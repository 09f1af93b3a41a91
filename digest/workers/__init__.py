"""Several machines at work on one database: the jobs that the rows ask for, what each does, and what wakes them."""
