from diffvs_jax.table import table


def test_a_table_lines_up():
    lines = table(["song", "SDR"], [["a", 1.0], ["longer", -12.345]]).splitlines()
    assert lines == ["song       SDR", "------  ------", "a         1.00", "longer  -12.35"]
