package apps;

import static org.apache.flink.statefun.sdk.java.TypeName.typeNameOf;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.flink.statefun.sdk.java.Address;
import org.apache.flink.statefun.sdk.java.Context;
import org.apache.flink.statefun.sdk.java.TypeName;
import org.apache.flink.statefun.sdk.java.ValueSpec;
import org.apache.flink.statefun.sdk.java.io.KafkaEgressMessage;
import org.apache.flink.statefun.sdk.java.message.Message;
import org.apache.flink.statefun.sdk.java.message.MessageBuilder;

/** The functions; App binds them to their names and states. */
final class Functions {
  static final ValueSpec<String> WRITTEN = ValueSpec.named("written").thatExpireAfterWrite(App.EXPIRATION).withUtf8StringType();
  static final ValueSpec<String> CALLED = ValueSpec.named("called").thatExpiresAfterCall(App.EXPIRATION).withUtf8StringType();
  static final ValueSpec<Integer> ANSWERS = ValueSpec.named("answers").withIntType();
  static final ValueSpec<Long> ASKED = ValueSpec.named("asked").withLongType();
  static final ValueSpec<Long> COUNT = ValueSpec.named("count").withLongType();
  static final ValueSpec<String> LAST = ValueSpec.named("last").withUtf8StringType();

  private static final TypeName ANSWERER = typeNameOf("apps.fns", "answerer");
  private static final TypeName ALARM = typeNameOf("apps.fns", "alarm");

  private static final Map<String, Integer> attempts = new ConcurrentHashMap<>();

  static CompletableFuture<Void> values(Context context, Message message) {
    List<String> words = words(message);
    for (Kind<?> kind : Kind.ALL.values()) {
      if (words.get(0).equals("show")) show(context, kind);
      if (!words.contains(kind.name) && !words.contains("all")) continue;
      change(context, kind, words.get(0));
    }
    return context.done();
  }

  private static <T> void show(Context context, Kind<T> kind) {
    KafkaEgressMessage.Builder record = record(context).withUtf8Key(context.self().id() + " " + kind.name);
    Optional<T> value = context.storage().get(kind.spec);
    context.send(value.isPresent() ? record.withValue(kind.type, value.get()).build() : record.withUtf8Value("unset").build());
  }

  private static <T> void change(Context context, Kind<T> kind, String verb) {
    switch (verb) {
      case "set" -> context.storage().set(kind.spec, kind.sample);
      case "zero" -> context.storage().set(kind.spec, kind.zero);
      case "bump" -> kind.bump(context.storage());
      case "delete" -> context.storage().remove(kind.spec);
      default -> throw new IllegalArgumentException(verb);
    }
  }

  static CompletableFuture<Void> expiring(Context context, Message message) {
    List<String> words = words(message);
    if (words.get(0).equals("set")) {
      context.storage().set(WRITTEN, "x");
      context.storage().set(CALLED, "x");
    }
    String written = context.storage().get(WRITTEN).orElse("-"), called = context.storage().get(CALLED).orElse("-");
    emit(context, words.get(1) + " written=" + written + " called=" + called);
    return context.done();
  }

  static CompletableFuture<Void> asker(Context context, Message message) {
    if (message.is(Kind.COMMAND)) {
      List<String> words = words(message);
      ask(context, Kind.ALL.get(words.get(1)), words.get(2));
      emit(context, "asked for " + nameOf(context.caller()));
      return context.done();
    }
    int answers = context.storage().get(ANSWERS).orElse(0) + 1;
    context.storage().set(ANSWERS, answers);
    for (Kind<?> kind : Kind.ALL.values()) {
      if (message.is(kind.type)) note(context, message, kind, answers);
    }
    return context.done();
  }

  private static <T> void ask(Context context, Kind<T> kind, String to) {
    context.send(MessageBuilder.forAddress(ANSWERER, to).withCustomType(kind.type, kind.sample).build());
  }

  private static <T> void note(Context context, Message message, Kind<T> kind, int answers) {
    String key = context.self().id() + " " + answers + " " + nameOf(context.caller()) + " " + kind.name;
    context.send(record(context).withUtf8Key(key).withValue(kind.type, message.as(kind.type)).build());
  }

  static CompletableFuture<Void> answerer(Context context, Message message) {
    long asked = context.storage().get(ASKED).orElse(0L) + 1;
    context.storage().set(ASKED, asked);
    for (Kind<?> kind : Kind.ALL.values()) {
      if (message.is(kind.type)) answer(context, message, kind);
    }
    emit(context, asked + " for " + nameOf(context.caller()));
    return context.done();
  }

  private static <T> void answer(Context context, Message message, Kind<T> kind) {
    context.send(MessageBuilder.forAddress(context.caller().get()).withCustomType(kind.type, message.as(kind.type)).build());
  }

  static CompletableFuture<Void> alarm(Context context, Message message) {
    if (message.isUtf8String()) {
      emit(context, message.asUtf8String() + " from " + nameOf(context.caller()));
      return context.done();
    }
    List<String> words = words(message);
    String me = context.self().id();
    switch (words.get(0)) {
      case "after" -> context.sendAfter(millis(words.get(1)), text(me, words.get(2)));
      case "to" -> context.sendAfter(millis(words.get(1)), text(words.get(2), words.get(3)));
      case "token" -> context.sendAfter(millis(words.get(1)), words.get(2), text(me, words.get(3)));
      case "cancel" -> context.cancelDelayedMessage(words.get(1));
      case "replace" -> {
        context.cancelDelayedMessage(words.get(2));
        context.sendAfter(millis(words.get(1)), words.get(2), text(me, words.get(3)));
      }
      default -> throw new IllegalArgumentException(words.get(0));
    }
    return context.done();
  }

  private static Duration millis(String ms) {
    return Duration.ofMillis(Long.parseLong(ms));
  }

  private static Message text(String to, String text) {
    return MessageBuilder.forAddress(ALARM, to).withValue(text).build();
  }

  static CompletableFuture<Void> writer(Context context, Message message) {
    String me = context.self().id();
    emit(context, "text");
    context.send(record(context).withUtf8Value("keyless").build());
    context.send(record(context).withUtf8Key(me).withValue(new byte[] {0, 1, (byte) 0xfe, (byte) 0xff}).build());
    context.send(record(context).withUtf8Key(me).withValue(ByteBuffer.allocate(4).putInt(258).array()).build());
    for (Kind<?> kind : Kind.ALL.values()) sample(context, kind);
    context.send(record("counter").withUtf8Key(me).withUtf8Value("elsewhere").build());
    return context.done();
  }

  private static <T> void sample(Context context, Kind<T> kind) {
    context.send(record(context).withUtf8Key(context.self().id()).withValue(kind.type, kind.sample).build());
  }

  static CompletableFuture<Void> counter(Context context, Message message) {
    long count = context.storage().get(COUNT).orElse(0L), number = message.asInt();
    context.storage().set(COUNT, count + 1);
    emit(context, number == count + 1 ? String.valueOf(number) : number + " after " + count);
    return context.done();
  }

  static CompletableFuture<Void> flaky(Context context, Message message) {
    List<String> words = words(message);
    String last = words.get(words.size() - 1);
    if (words.get(0).equals("fail") && attempts.merge(last, 1, Integer::sum) <= Integer.parseInt(words.get(1))) {
      throw new IllegalStateException("attempt " + attempts.get(last) + " of " + last);
    }
    emit(context, last);
    return context.done();
  }

  static CompletableFuture<Void> stray(Context context, Message message) {
    context.send(MessageBuilder.forAddress(typeNameOf("apps.lost", "nobody"), context.self().id()).withValue("hello").build());
    emit(context, "sent");
    return context.done();
  }

  static CompletableFuture<Void> patient(Context context, Message message) {
    String word = message.as(Kind.COMMAND);
    return CompletableFuture.runAsync(
        () -> {
          emit(context, context.storage().get(LAST).orElse("-") + " " + word);
          context.storage().set(LAST, word);
        },
        CompletableFuture.delayedExecutor(20, TimeUnit.MILLISECONDS));
  }

  private static List<String> words(Message message) {
    return Arrays.asList(message.as(Kind.COMMAND).split(" "));
  }

  private static String nameOf(Optional<Address> address) {
    return address.map(a -> a.type().asTypeNameString() + "/" + a.id()).orElse("nobody");
  }

  private static void emit(Context context, String value) {
    context.send(record(context).withUtf8Key(context.self().id()).withUtf8Value(value).build());
  }

  private static KafkaEgressMessage.Builder record(Context context) {
    return record(context.self().type().name());
  }

  private static KafkaEgressMessage.Builder record(String function) {
    return KafkaEgressMessage.forEgress(typeNameOf("apps.io", "out")).withTopic(App.PREFIX + "out-" + function);
  }

  private Functions() {}
}
