"""Messages of the inspector's WebSocket protocol in all versions, byte by byte."""

import pytest

from runtime.inspector import messages as m
from runtime.inspector.bare_records import read_record, write_record
from runtime.inspector.versions import CURRENT, MESSAGES, REQUESTS, decode_request, encode_message, parse_version
from runtime.protocol.bare import Reader, Writer
from runtime.protocol.decode_errors import DecodeError

SCHEDULE = m.Schedule("s", None, "at", "run", b"\x80", 1000, None, None, None, None, None)
TAB = m.TabConfig("t", "T", None, False)
INIT = m.Init([m.Connection("c", b"\xf6")], b"\x01", True, ["a", "b"], True, 300, None, False, [TAB], [SCHEDULE])
SCHEDULES = "01 01 73 00 02 61 74 03 72 75 6e 01 80 e8 07 00 00 00 00 00"
SAMPLES = [
    m.StateResponse(1, None, False),
    m.StateResponse(1, b"\x05", True),
    m.ConnectionsResponse(2, [m.Connection("c", b"\xf6")]),
    m.ActionResponse(3, b"\xf7"),
    m.ConnectionsUpdated([]),
    m.QueueUpdated(128),
    m.StateUpdated(b"\x00"),
    m.WorkflowHistoryUpdated(b"\x00\x00\x00"),
    m.SchedulesUpdated([SCHEDULE]),
    m.RpcsListResponse(4, ["x"]),
    m.TraceQueryResponse(5, b""),
    m.QueueResponse(6, m.QueueStatus(2, 1000, [m.QueuedMessage(1, "q", 2**40)], True)),
    m.WorkflowHistoryResponse(7, None, False),
    m.WorkflowReplayResponse(8, b"\x00\x00\x00", True),
    m.SchedulesResponse(9, []),
    m.ScheduleHistoryResponse(10, "s", [m.ScheduleFire("run", 1, 2, 3, "error", m.FireError("g", "c", "m", b"\xf6"))]),
    m.ScheduleDeleteResponse(11, "s", True),
    m.Error("no"),
    INIT,
    m.DatabaseSchemaResponse(12, b"\xa0"),
    m.DatabaseTableRowsResponse(13, b"\x80"),
]
DROPPED = {
    5: {"Schedule": "schedules"},
    3: {"Schedule": "schedules", "WorkflowReplay": "workflow_history"},
    2: {"Schedule": "schedules", "WorkflowReplay": "workflow_history", "Database": "database"},
    1: {"Schedule": "schedules", "Workflow": "workflow_history", "Database": "database", "Queue": "queue", "Trace": "trace"},
}


def read(frame, version):
    reader = Reader(frame)
    message = read_record(reader, MESSAGES[version][reader.byte()])
    assert reader.at_end()
    return message


def test_every_message_has_a_sample():
    assert {type(sample) for sample in SAMPLES} == set(MESSAGES[CURRENT])


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_current_version_reads_back(sample):
    assert read(encode_message(sample, CURRENT), CURRENT) == sample


@pytest.mark.parametrize(
    ("sample", "version", "frame"),
    [
        (m.StateResponse(1, b"\x05", True), 6, "00 01 01 01 05 01"),
        (m.QueueUpdated(128), 6, "04 80 01"),
        (m.RpcsListResponse(4, ["x"]), 6, "08 04 01 01 78"),
        (m.RpcsListResponse(4, ["x"]), 5, "07 04 01 01 78"),
        (m.RpcsListResponse(4, ["x"]), 1, "04 04 01 01 78"),
        (m.StateUpdated(b"\x00"), 1, "07 01 00"),
        (m.Error("no"), 6, "10 02 6e 6f"),
        (m.Error("no"), 4, "0c 02 6e 6f"),
        (m.Error("no"), 3, "0b 02 6e 6f"),
        (m.Error("no"), 1, "08 02 6e 6f"),
        (m.DatabaseSchemaResponse(12, b"\xa0"), 3, "0d 0c 01 a0"),
        (m.Error("no"), None, "05 00 0c 02 6e 6f"),
    ],
)
def test_bytes(sample, version, frame):
    assert encode_message(sample, version) == bytes.fromhex(frame)


@pytest.mark.parametrize(
    ("version", "frame"),
    [
        (1, "09 01 01 63 01 f6 00 01 01 01 01 02 01 61 01 62 01"),
        (2, "0c 01 01 63 01 f6 01 01 01 01 02 01 61 01 62 01 ac 02 00 00"),
        (3, "0c 01 01 63 01 f6 01 01 01 01 02 01 61 01 62 01 ac 02 00 00"),
        (4, "0d 01 01 63 01 f6 01 01 01 01 02 01 61 01 62 01 ac 02 00 00"),
        (5, "0d 01 01 63 01 f6 01 01 01 01 02 01 61 01 62 01 ac 02 00 00 01 01 74 01 01 54 00 00"),
        (
            6,
            "11 01 01 63 01 f6 01 01 01 01 02 01 61 01 62 01 ac 02 00 00 01 01 74 01 01 54 00 00" + SCHEDULES,
        ),
    ],
)
def test_init(version, frame):
    assert encode_message(INIT, version) == bytes.fromhex(frame)


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("sample", [sample for sample in SAMPLES if sample is not INIT], ids=lambda sample: type(sample).__name__)
def test_older_versions_carry_or_drop(sample, version):
    name = type(sample).__name__
    code = next((code for start, code in DROPPED.get(version, DROPPED[5]).items() if name.startswith(start)), None)
    frame = encode_message(sample, version)
    if name == "SchedulesUpdated":
        assert frame is None
    elif code is None:
        assert read(frame, version) == sample
    else:
        assert read(frame, version) == m.Error(f"inspector.{code}_dropped")


def requests():
    for version, known in REQUESTS.items():
        for tag, kind in enumerate(known):
            yield pytest.param(version, tag, kind, id=f"v{version}-{kind.__name__}")


VALUES = {"int": 300, "str": "text", "bytes": b"\x01\x02", "str | None": None}


@pytest.mark.parametrize(("version", "tag", "kind"), list(requests()))
def test_requests_read_back(version, tag, kind):
    request = kind(**{name: VALUES[hint] for name, hint in kind.__annotations__.items()})
    writer = Writer().byte(tag)
    write_record(writer, request)
    assert decode_request(writer.finish(), version) == request
    assert decode_request(version.to_bytes(2, "little") + writer.finish(), None) == request


@pytest.mark.parametrize(
    ("frame", "version"),
    [
        ("", 6),
        ("0e", 6),
        ("0b 01", 5),
        ("01", 6),
        ("01 01 00", 6),
        ("08 01 02", 6),
        ("03 01 05 61", 6),
        ("07 00 01 01", None),
        ("00 00 01 01", None),
        ("06", None),
    ],
)
def test_malformed_requests(frame, version):
    with pytest.raises(DecodeError):
        decode_request(bytes.fromhex(frame), version)


@pytest.mark.parametrize("text", ["1", "2", "3", "4", "5", "6"])
def test_valid_versions(text):
    assert parse_version(text) == int(text)


@pytest.mark.parametrize("text", ["", "0", "7", "06", "+6", "6 ", "six", "٦", "1e0", "-1", "12"])
def test_invalid_versions(text):
    assert parse_version(text) is None
