"""The commands: ``python -m ws_core`` and ``python -m ws_core.bench``. Nothing of the library imports this.

They are users of the public API like anybody else. Colours and a prompt with a history come from rich and
prompt_toolkit (``pip install 'wirelark-ws-core[cli]'``); without them the commands work, in plain text.
"""
