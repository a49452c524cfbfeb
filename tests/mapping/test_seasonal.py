"""What several dates before a flood are worth where water is seasonal, simulated."""

from benchmarks.seasonal import score


def test_three_dates_call_half_as_much_water_flood_as_one(capsys) -> None:
    """Water maps with a classifier's errors, see `benchmarks.seasonal`; ten small places."""
    counts = score(range(10), 128, [(1, None), (3, None)])
    one, three = (counts[number, None].figures() for number in (1, 3))
    with capsys.disabled():
        print(f"\none date {one}\nthree dates {three}")
    assert one["water_as_flood"] > 0.02
    assert three["water_as_flood"] <= one["water_as_flood"] / 2
    assert one["flood_recall"] > 0.35
    assert three["flood_recall"] >= one["flood_recall"] - 0.05
