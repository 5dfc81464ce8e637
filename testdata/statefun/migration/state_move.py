"""Takes the state of an address out of a StateFun application, and puts it back, in the form that gateway state import reads."""

import base64
import json

from statefun import kafka_egress_message, simple_type

EXPORT = simple_type("move.types/Export", serialize_fn=bytes, deserialize_fn=bytes)  # the topic that the state is sent to
RESTORE = simple_type("move.types/Restore", serialize_fn=bytes, deserialize_fn=bytes)  # a line of an export
DELAYS = simple_type("move.types/Delays", serialize_fn=bytes, deserialize_fn=bytes)  # send delayed messages again; for the new application

BUILT_IN = "io.statefun.types/"


def export_state(context, message, specs, egress):
    topic = message.as_type(EXPORT).decode()
    for spec in specs:
        value = getattr(context.storage, spec.name)
        if value is not None:
            content = base64.b64encode(spec.type.serializer().serialize(value)).decode()
            line = {"function": context.address.typename, "id": context.address.id, "state": spec.name, "type": spec.type.typename, "base64": content}
            context.send_egress(kafka_egress_message(typename=egress, topic=topic, key=context.address.id, value=json.dumps(line)))


def restore_state(context, message, specs):
    line = json.loads(message.as_type(RESTORE))
    spec = next((s for s in specs if s.name == line["state"] and line["function"] == context.address.typename), None)
    if spec is None:
        return  # another function's
    if "base64" in line:
        value = spec.type.serializer().deserialize(base64.b64decode(line["base64"]))
    elif spec.type.typename in (BUILT_IN + "int", BUILT_IN + "long"):
        value = int(line["value"])  # large ones are texts
    elif spec.type.typename in (BUILT_IN + "float", BUILT_IN + "double"):
        value = float(line["value"])  # not a number, and without end, are texts
    else:
        value = line["value"]
    setattr(context.storage, spec.name, value)
