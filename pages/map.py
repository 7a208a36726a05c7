from foster.ui import frame
frame("map")
