"""`parley doctor`: what is wrong with this machine and this installation, and what to do.

Each check is a function that looks at one thing and returns findings. It changes nothing, and a check
that cannot be made is a finding too.
"""
