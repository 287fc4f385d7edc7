"""Clock skew: laws of the estimate from one question to a server."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from arvo.interpreters.postgres.connection.inspection import clock_skew

BEGAN = datetime(2030, 1, 1, tzinfo=UTC)
SHORT = st.timedeltas(min_value=timedelta(0), max_value=timedelta(minutes=1))
AHEAD = st.timedeltas(min_value=-timedelta(days=400), max_value=timedelta(days=400))


@given(there=SHORT, back=SHORT, ahead=AHEAD)
def test_the_estimate_is_never_more_than_the_skew(
    there: timedelta, back: timedelta, ahead: timedelta
) -> None:
    """A slow network alone raises no warning, and hides at most its own round trip."""
    answered = BEGAN + there
    skew = clock_skew(BEGAN, answered + ahead, answered + back)

    actual, trip = ahead.total_seconds(), (there + back).total_seconds()
    assert abs(skew) <= abs(actual) + 1e-5
    assert abs(actual - skew) <= trip + 1e-5
    assert skew * actual >= 0
