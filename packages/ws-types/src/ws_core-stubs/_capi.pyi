abi_version: int
layout: int
table: object

def get_include() -> str: ...
