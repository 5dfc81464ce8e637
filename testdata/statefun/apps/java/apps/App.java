package apps;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.concurrent.Executors;
import org.apache.flink.statefun.sdk.java.StatefulFunction;
import org.apache.flink.statefun.sdk.java.StatefulFunctionSpec;
import org.apache.flink.statefun.sdk.java.StatefulFunctions;
import org.apache.flink.statefun.sdk.java.TypeName;
import org.apache.flink.statefun.sdk.java.ValueSpec;
import org.apache.flink.statefun.sdk.java.handler.RequestReplyHandler;
import org.apache.flink.statefun.sdk.java.slice.Slice;
import org.apache.flink.statefun.sdk.java.slice.Slices;

/** The application that ../../README.md describes, on the official Java SDK and the JDK's own HTTP server. */
public final class App {
  static final String PREFIX = System.getenv("PREFIX");
  static final Duration EXPIRATION = Duration.ofMillis(Long.parseLong(System.getenv("EXPIRATION")));

  public static void main(String[] args) throws IOException {
    ValueSpec<?>[] values = Kind.ALL.values().stream().map(kind -> kind.spec).toArray(ValueSpec<?>[]::new);
    StatefulFunctions functions = new StatefulFunctions();
    bind(functions, "values", Functions::values, values);
    bind(functions, "expiring", Functions::expiring, Functions.WRITTEN, Functions.CALLED);
    bind(functions, "asker", Functions::asker, Functions.ANSWERS);
    bind(functions, "answerer", Functions::answerer, Functions.ASKED);
    bind(functions, "alarm", Functions::alarm);
    bind(functions, "writer", Functions::writer);
    bind(functions, "counter", Functions::counter, Functions.COUNT);
    bind(functions, "flaky", Functions::flaky);
    bind(functions, "stray", Functions::stray);
    bind(functions, "patient", Functions::patient, Functions.LAST);
    RequestReplyHandler handler = functions.requestReplyHandler();

    int port = Integer.parseInt(System.getenv("PORT"));
    HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 128);
    server.setExecutor(Executors.newCachedThreadPool());
    server.createContext("/statefun", exchange -> serve(handler, exchange));
    server.start();
    System.out.println("ready");
  }

  private static void bind(StatefulFunctions functions, String name, StatefulFunction function, ValueSpec<?>... specs) {
    functions.withStatefulFunction(
        StatefulFunctionSpec.builder(TypeName.typeNameOf("apps.fns", name)).withValueSpecs(specs).withSupplier(() -> function).build());
  }

  private static void serve(RequestReplyHandler handler, HttpExchange exchange) throws IOException {
    Slice request = Slices.wrap(exchange.getRequestBody().readAllBytes());
    handler
        .handle(request)
        .whenComplete(
            (answer, failure) -> {
              try (exchange) {
                if (failure != null) {
                  exchange.sendResponseHeaders(500, -1);
                  return;
                }
                byte[] body = answer.toByteArray();
                exchange.getResponseHeaders().set("Content-Type", "application/octet-stream");
                exchange.sendResponseHeaders(200, body.length == 0 ? -1 : body.length);
                exchange.getResponseBody().write(body);
              } catch (IOException e) {
                System.err.println("answer: " + e); // the caller is gone, and calls again
              }
            });
  }
}
