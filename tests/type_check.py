"""The checker put on every annotated function of the library while it is tested."""

from beartype import BeartypeConf, beartype

# As in every type checker, an int will do where a float is asked for.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
