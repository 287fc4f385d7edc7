"""Calls: functions of the user that an interpreter calls, each within its bounds."""
