"""Processes meet, say texts to one another, stop together and notice a loss."""

import json
import signal
import socket
import threading
import time

import pytest
from calling import wait_until
from meeting import free_port, listening, together

from init_study.cluster import Place, Stopping, hosts, join_hosts
from init_study.cluster.board import Board, ask, serve
from init_study.errors import ExitCode, UserError


@pytest.fixture
def hasty(monkeypatch):
    """Seconds in place of minutes."""
    monkeypatch.setattr(hosts, "_PATIENCE", 1.5)
    monkeypatch.setattr(hosts, "_ANSWERING", 3.0)
    monkeypatch.setattr(hosts, "_ARRIVING", 3.0)
    monkeypatch.setattr(hosts, "_BETWEEN", 0.05)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(hosts, "_BETWEEN", 0.02)


def test_everybody_has_the_text_of_everybody(quick):
    """Also under one name twice, and if the first is the last to come."""

    def act(those, received):
        me = str(those.place.process)
        return [those.gather("name", me), those.gather("name", f"{me} again")]

    found = together(act, 4, lambda i: time.sleep(0.3) if i == 0 else None)
    expected = [["0", "1", "2", "3"], ["0 again", "1 again", "2 again", "3 again"]]
    assert found == [expected] * 4


def test_what_the_first_makes_all_have(quick):
    made = []

    def act(those, received):
        return those.from_first("it", lambda: made.append("once") or "it")

    assert together(act, 3) == ["it"] * 3 and made == ["once"]


def test_what_fails_in_one_is_said_in_all(quick):
    def act(those, received):
        if those.place.process == 1:
            raise UserError("no room in /here")
        those.gather("name", "")

    first, second, third = together(act, 3)
    assert str(second) == "no room in /here" and second.exit_code == ExitCode.USAGE
    for error in (first, third):
        assert str(error) == "process 1 ended: no room in /here"
        assert error.exit_code == ExitCode.USAGE


def test_what_is_no_users_error_is_said_by_its_kind(quick):
    def act(those, received):
        if those.place.process == 0:
            raise ZeroDivisionError("of secrets")
        those.gather("name", "")

    first, second = together(act, 2)
    assert isinstance(first, ZeroDivisionError)
    assert str(second).startswith("process 0 ended: ZeroDivisionError; what was saved")
    assert second.exit_code == ExitCode.TRY_AGAIN


def test_a_signal_of_one_is_a_stop_of_all(quick):
    def act(those, received):
        if those.place.process == 2:
            received.append(signal.SIGINT)
        end = time.monotonic() + 20
        while not received and time.monotonic() < end:
            time.sleep(0.01)
        # Whoever stops still meets the others at the end of its part.
        return received[0], those.gather("end", "stopped")

    found = together(act, 3)
    assert [one for one, _ in found] == [signal.SIGTERM, signal.SIGTERM, signal.SIGINT]


def word(process, processes=3, **put):
    """What a process says that is not one of ours."""
    asked = {"process": process, "processes": processes, "who": "b#2", "rounds": 0}
    return asked | {"put": put}


def speak_once(port, said):
    """Be a process that speaks once and never again, as one that is killed."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            return ask(("localhost", port), said)
        except OSError:
            time.sleep(0.05)
    raise AssertionError("process 0 never came")


def test_a_process_that_is_lost_is_named(hasty):
    port, results = free_port(), {}

    def run(process):
        try:
            with join_hosts(Place(process, 3, "localhost", port), []) as those:
                those.gather("name", "")
        except UserError as error:
            results[process] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in (0, 2)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    speak_once(port, word(1))
    for thread in threads:
        thread.join(30)
    assert time.monotonic() - began < 15
    assert sorted(results) == [0, 2]
    for error in results.values():
        assert str(error).startswith("process 1 of 3 does not answer; what was saved")
        assert "\n" not in str(error) and error.exit_code == ExitCode.TRY_AGAIN


def test_a_process_that_never_comes_is_named(hasty):
    with (
        pytest.raises(UserError, match="process 1 of 2 did not come within 3 s"),
        join_hosts(Place(0, 2, "localhost", free_port()), []) as those,
    ):
        those.gather("name", "")


def test_who_is_waited_for_is_said(quick, monkeypatch, caplog):
    monkeypatch.setattr(hosts, "_QUIET", 0.1)
    together(
        lambda those, received: those.gather("name", ""),
        3,
        lambda process: time.sleep(0.6) if process else None,
    )
    assert caplog.text.count("waiting for process 1, 2 to come") == 1


def test_nobody_waits_for_who_has_left(quick):
    """As one that was stopped between two things that all gather."""

    def act(those, received):
        those.gather("one", "")
        if those.place.process == 1:
            return "left"
        return those.gather("two", "")

    first, second, third = together(act, 3)
    assert second == "left"
    for error in (first, third):
        assert str(error).startswith("process 1 has ended; what was saved is kept")
        assert error.exit_code == ExitCode.TRY_AGAIN


def test_a_signal_ends_the_waiting_before_there_is_something_to_save(quick):
    def act(those, received):
        if those.place.process == 1:
            received.append(signal.SIGINT)
            those.gather("other", "", stops=True)
        those.gather("name", "", stops=True)

    assert [type(one) for one in together(act, 2)] == [Stopping, Stopping]


def test_who_comes_late_reads_what_went_wrong(quick):
    """Process 0 fails at once, as by a wrong name; the other is still importing."""

    def act(those, received):
        if those.place.process == 0:
            raise UserError("unknown model")
        those.gather("name", "")

    first, second = together(act, 2, lambda process: time.sleep(1.0 * process))
    assert str(first) == "unknown model"
    assert str(second) == "process 0 ended: unknown model"


def test_who_is_stopped_waits_for_nobody_that_is_not_there(quick):
    began = time.monotonic()
    with (
        pytest.raises(Stopping),
        join_hosts(Place(0, 2, "localhost", free_port()), [signal.SIGINT]) as those,
    ):
        those.gather("name", "", stops=True)
    assert time.monotonic() - began < 10


def test_a_loss_after_all_is_done_changes_nothing(hasty, monkeypatch):
    """Process 0 may still be writing its page, for longer than any patience."""
    monkeypatch.setattr(hosts, "_GRACE", 0.2)
    ended = []
    monkeypatch.setattr(hosts, "end_with", lambda *given: ended.append(given))
    port = free_port()
    received = []
    with join_hosts(Place(0, 2, "localhost", port), received) as those:
        speak_once(port, word(1, 2))
        those.settle()
        speak_once(port, word(1, 2, stop="SIGTERM at process 1"))
        time.sleep(2.5)
        assert those.problem == "" and ended == received == []


def test_a_process_that_cannot_end_is_ended(hasty, monkeypatch):
    monkeypatch.setattr(hosts, "_GRACE", 0.2)
    ended = []
    monkeypatch.setattr(hosts, "end_with", lambda *given: ended.append(given))
    port = free_port()
    with join_hosts(Place(0, 2, "localhost", port), []):
        speak_once(port, word(1, 2))
        wait_until(lambda: ended, 20)
    ((line, code),) = ended
    assert line.startswith("error: process 1 of 2 does not answer") and code == 75


def test_who_sleeps_does_not_blame_the_others():
    """Process 0 was stopped, or its machine was: nobody could be heard meanwhile."""
    board = Board(2, arriving=60, patience=5)
    for process in range(2):
        board.exchange(word(process, 2))
    with pytest.MonkeyPatch.context() as patch:
        later = time.monotonic() + 100
        patch.setattr("init_study.cluster.board.time.monotonic", lambda: later)
        table = board.exchange(word(0, 2))["table"]
        assert "lost/1" not in table
        patch.setattr("init_study.cluster.board.time.monotonic", lambda: later + 1.5)
        board.exchange(word(0, 2))
        patch.setattr("init_study.cluster.board.time.monotonic", lambda: later + 3.0)
        board.exchange(word(0, 2))
        patch.setattr("init_study.cluster.board.time.monotonic", lambda: later + 4.5)
        board.exchange(word(0, 2))
        patch.setattr("init_study.cluster.board.time.monotonic", lambda: later + 6.0)
        assert "lost/1" in board.exchange(word(0, 2))["table"]


def test_who_was_lost_stays_so():
    board = Board(2, arriving=60, patience=0.2)
    for process in range(2):
        board.exchange(word(process, 2))
    for _ in range(5):
        time.sleep(0.1)
        board.exchange(word(0, 2))
    assert "lost/1" in board.exchange(word(1, 2))["table"]


def test_what_all_have_read_is_forgotten(quick):
    def act(those, received):
        for turn in range(30):
            those.gather("text", "x" * 100 + str(turn))
        time.sleep(0.3)
        return those.gather("sizes", str(len(str(those._table))))

    (sizes, _) = together(act, 2)
    assert max(map(int, sizes)) < 1500


def test_a_table_has_an_end():
    board = Board(1, arriving=60, patience=60)
    for turn in range(3):
        answer = board.exchange(word(0, 1, **{f"{turn}": "x" * 500_000}))
    assert "more to say than the table holds" in answer["refused"]


def test_the_first_that_is_lost_is_named(hasty):
    """Its table is gone with it."""
    port = free_port()
    board = Board(2, arriving=60, patience=60)
    server = serve(board, Place(0, 2, "localhost", port))
    with (
        pytest.raises(UserError, match=f"process 0, at localhost:{port}, does not"),
        join_hosts(Place(1, 2, "localhost", port), []) as those,
    ):
        server.shutdown()
        server.server_close()
        those.gather("name", "")


def test_a_first_that_does_not_answer_is_one_line(hasty):
    port = free_port()
    with (
        pytest.raises(UserError, match=f"--coordinator=localhost:{port}") as caught,
        join_hosts(Place(1, 2, "localhost", port), []),
    ):
        pass
    assert "for 3 s" in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.TRY_AGAIN


@pytest.mark.parametrize("host", ["a..b", "no-such-host.invalid", "x" * 300])
def test_a_name_that_nobody_has_does_not_answer(hasty, host):
    with (
        pytest.raises(UserError, match="process 0 does not answer at"),
        join_hosts(Place(1, 2, host, 61000), []),
    ):
        pass


@pytest.mark.parametrize("host", ["::1", "127.0.0.1", "localhost", "any.name"])
def test_process_0_listens_as_it_is_named(quick, host):
    """The last one on all that the machine has."""
    place = Place(0, 1, host, free_port())
    with join_hosts(place, []) as those:
        there = host if host in ("::1", "127.0.0.1") else "localhost"
        assert "already" in ask((there, place.port), word(0, 1))["refused"]
        assert those.gather("name", "here") == ["here"]


def test_a_port_of_another_program_is_refused():
    port = free_port()
    with (
        listening(port),
        pytest.raises(UserError, match="cannot listen there") as caught,
        join_hosts(Place(0, 2, "localhost", port), []),
    ):
        pass
    assert caught.value.exit_code == ExitCode.NO_PLACE


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ((1, 3), "comes to a run of --processes=2"),
        ((0, 2), "--process=0 is process"),
    ],
)
def test_another_count_and_a_number_twice_are_refused(quick, place, said):
    port = free_port()
    with join_hosts(Place(0, 2, "localhost", port), []):
        answer = ask(("localhost", port), word(*place))
        assert said in answer["refused"] and "#" not in answer["refused"]
        if place[1] == 3:
            with (
                pytest.raises(UserError, match=said),
                join_hosts(Place(1, 3, "localhost", port), []),
            ):
                pass
        # So that the first does not wait for it as it leaves.
        ask(("localhost", port), word(1, 2, **{"left/1": ""}))


@pytest.mark.parametrize(
    "sent",
    [b"", b"\n", b"GET / HTTP/1.1\r\n\r\n", b"[]\n", b"{}\n", b"\xff\xfe\n", b"1" * 99],
)
def test_who_is_no_process_of_the_run_changes_nothing(quick, sent, capfd):
    port = free_port()
    with join_hosts(Place(0, 1, "localhost", port), []) as those:
        with socket.create_connection(("localhost", port), timeout=10) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == b""
        assert those.gather("name", "here") == ["here"]
    assert capfd.readouterr() == ("", "")


def test_an_answer_that_is_none_is_as_no_answer(hasty):
    """Another program listens there, and talks."""
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]

        def talk():
            while True:
                connection, _ = server.accept()
                connection.sendall(b"220 mail.example\r\n")
                connection.close()

        threading.Thread(target=talk, daemon=True).start()
        with (
            pytest.raises(UserError, match="does not answer"),
            join_hosts(Place(1, 2, "localhost", port), []),
        ):
            pass


def test_texts_of_any_kind_come_through(quick):
    texts = ["", "é\n\t\"'{}", "x" * 100_000, json.dumps({"a": [1, None]})]

    def act(those, received):
        return [those.gather("t", text) for text in texts]

    assert together(act, 2) == [[[text, text] for text in texts]] * 2
