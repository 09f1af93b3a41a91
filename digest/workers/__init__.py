"""Several machines at work on one database: which jobs the rows ask for, what each does, and the engine that wakes them."""
