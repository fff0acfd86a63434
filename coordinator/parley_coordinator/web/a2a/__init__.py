"""Each workflow as an A2A 1.0 agent: a run is a task, an item is an INPUT_REQUIRED, a decision a message.

No task is kept here: what a client sees is read from the run each time, so there is nothing that a
restart could lose or that could disagree with the run.
"""
