# The defaults, tried out for a day: the lock lets go of events after one, and those who may bypass it even before.
object_lock = { mode = "GOVERNANCE", days = 1 }

# Nobody is called at night for a trial.
alarms = { enabled = false }
