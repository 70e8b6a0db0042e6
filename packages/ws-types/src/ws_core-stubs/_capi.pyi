# abi_version and get_include() are public; the rest is for modules that are compiled against core.
abi_version: int
layout: int
table: object

def get_include() -> str: ...
