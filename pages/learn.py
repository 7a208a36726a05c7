"""Learn: how does it work? The method in six steps, each computed live at toy size, to break and to ask about."""

from foster.ui import frame, learn

frame("Learn", picks=False)
learn.lessons()
