package apps;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.statefun.sdk.java.AddressScopedStorage;
import org.apache.flink.statefun.sdk.java.TypeName;
import org.apache.flink.statefun.sdk.java.ValueSpec;
import org.apache.flink.statefun.sdk.java.types.SimpleType;
import org.apache.flink.statefun.sdk.java.types.Type;
import org.apache.flink.statefun.sdk.java.types.Types;

/** A type of values: one to set, its zero, and how one becomes the next. */
final class Kind<T> {
  static final Type<String> COMMAND =
      SimpleType.simpleImmutableTypeFrom(
          TypeName.typeNameOf("apps.types", "command"),
          text -> text.getBytes(StandardCharsets.UTF_8),
          bytes -> new String(bytes, StandardCharsets.UTF_8));

  static final Map<String, Kind<?>> ALL = new LinkedHashMap<>();

  static {
    add("bool", Types.booleanType(), true, false, v -> !v);
    add("int", Types.integerType(), 7, 0, v -> v + 1);
    add("long", Types.longType(), (1L << 40) + 1, 0L, v -> v + 1);
    add("float", Types.floatType(), 1.5f, 0f, v -> v + 0.5f);
    add("double", Types.doubleType(), 0.1, 0.0, v -> v + 0.25);
    add("string", Types.stringType(), "grüße 😀", "", v -> v + "!");
    add("note", noteType(), new Note(1, "é"), new Note(0, ""), v -> new Note(v.n() + 1, v.text()));
    add("name", nameType(), "p", "", v -> v + "!");
    add("blob", blobType(), new byte[] {0, (byte) 0xff}, new byte[0], v -> ByteBuffer.allocate(v.length + 1).put(v).put((byte) 1).array());
  }

  final String name;
  final Type<T> type;
  final ValueSpec<T> spec;
  final T sample;
  final T zero;
  private final UnaryOperator<T> bump;

  private Kind(String name, Type<T> type, T sample, T zero, UnaryOperator<T> bump) {
    this.name = name;
    this.type = type;
    this.spec = ValueSpec.named(name).withCustomType(type);
    this.sample = sample;
    this.zero = zero;
    this.bump = bump;
  }

  void bump(AddressScopedStorage storage) {
    storage.set(spec, bump.apply(storage.get(spec).orElse(zero)));
  }

  private static <T> void add(String name, Type<T> type, T sample, T zero, UnaryOperator<T> bump) {
    ALL.put(name, new Kind<>(name, type, sample, zero, bump));
  }

  /** A value that is JSON on the wire. */
  record Note(int n, String text) {}

  private static Type<Note> noteType() {
    Pattern form = Pattern.compile("\\{\"n\":(-?\\d+),\"text\":\"([^\"\\\\]*)\"\\}");
    return SimpleType.simpleImmutableTypeFrom(
        TypeName.typeNameFromString("apps.types/note"),
        note -> ("{\"n\":" + note.n() + ",\"text\":\"" + note.text() + "\"}").getBytes(StandardCharsets.UTF_8),
        bytes -> {
          Matcher m = form.matcher(new String(bytes, StandardCharsets.UTF_8));
          if (!m.matches()) throw new IllegalArgumentException("not a note: " + m);
          return new Note(Integer.parseInt(m.group(1)), m.group(2));
        });
  }

  /** A Protobuf message as its users' own types are: a text in field 1, absent when it is empty; short ones only. */
  private static Type<String> nameType() {
    return SimpleType.simpleImmutableTypeFrom(
        TypeName.typeNameFromString("type.googleapis.com/google.protobuf.StringValue"),
        text -> {
          byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
          if (utf8.length == 0) return utf8;
          return ByteBuffer.allocate(utf8.length + 2).put((byte) 0x0a).put((byte) utf8.length).put(utf8).array();
        },
        bytes -> bytes.length == 0 ? "" : new String(bytes, 2, bytes[1], StandardCharsets.UTF_8));
  }

  private static Type<byte[]> blobType() {
    return SimpleType.simpleTypeFrom(TypeName.typeNameFromString("apps.types/blob"), bytes -> bytes, bytes -> bytes);
  }
}
