# Core's own file of this name says what to install; this one takes its place.
from ws_core._listener import WSListener as WSListener
