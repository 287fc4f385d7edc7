"""The blocks of a page are the steps of its reader."""

from tests.pages.page import RunPython, RunShell, WriteFile, lacks, read_page

PAGE = """# A page

```sh
pip install 'arvo-events[cli]'
```

Save this as `shop.py`:

```python
first = 1
```

Add
to `shop.py`:

```python
second = 2
```

Save it as `shop/Dockerfile`:

```dockerfile
FROM python
```

<!--- skip: next -->

```python
third = 3
```

```sh
python shop.py
```

It prints:

```text
one
...
```

A picture:

```text
a ──▶ b
```
"""


def test_each_block_is_a_step() -> None:
    """A block that is passed over would be a promise of the page that nothing holds."""
    assert read_page(PAGE) == (
        RunShell("pip install 'arvo-events[cli]'\n", 3),
        WriteFile("shop.py", "first = 1\n", is_appended=False, line=9),
        WriteFile("shop.py", "second = 2\n", is_appended=True, line=16),
        WriteFile("shop/Dockerfile", "FROM python\n", is_appended=False, line=22),
        RunPython("third = 3\n", 28),
        RunShell("python shop.py\n", 32, output="one\n...\n"),
    )


def test_text_below_a_shell_is_its_output_unless_prose_stands_between() -> None:
    shell, prose = "```sh\ntrue\n```\n", "```text\nout\n```\n"

    assert read_page(f"{shell}\n{prose}") == (RunShell("true\n", 1, output="out\n"),)
    assert read_page(f"{shell}\nThen:\n\n{prose}") == (RunShell("true\n", 1, output="out\n"),)
    assert read_page(f"{shell}\nThen.\n\nNow:\n\n{prose}") == (RunShell("true\n", 1),)
    assert read_page(f"{shell}\nAnother thing\n\n{prose}") == (RunShell("true\n", 1),)


def test_lines_of_an_output_occur_in_their_order() -> None:
    printed = "at 10:00 o-1 is paid\nat 10:01 o-2 is paid\n"

    assert lacks("o-1 is paid\n...\no-2 is paid\n", printed) is None
    assert lacks("at ... o-1\n", printed) is None
    assert lacks("o-2 is paid\no-1 is paid\n", printed) == "o-1 is paid"
    assert lacks("o-3 is ...\n", printed) == "o-3 is ..."
    assert lacks("o-. is paid\n", printed) == "o-. is paid"
