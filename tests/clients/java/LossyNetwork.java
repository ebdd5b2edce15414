import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.SocketFactory;
import javax.net.ssl.SSLSocketFactory;

/**
 * A network that loses answers: each connection takes one call to the server, and the first ones bring nothing back. What
 * was signed, the Host header among it, is passed on as it is.
 */
final class LossyNetwork implements AutoCloseable {
    final AtomicInteger calls = new AtomicInteger();
    private final AtomicInteger losses;
    private final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());

    private static final Pattern LENGTH = Pattern.compile("\r\ncontent-length: *(\\d+)\r\n", Pattern.CASE_INSENSITIVE);

    LossyNetwork(int losses) throws IOException {
        this.losses = new AtomicInteger(losses);
        Thread thread = new Thread(this::accept);
        thread.setDaemon(true);
        thread.start();
    }

    URI address() {
        return URI.create("http://127.0.0.1:" + listener.getLocalPort());
    }

    @Override
    public void close() throws IOException {
        listener.close();
    }

    private void accept() {
        while (!listener.isClosed()) {
            try (Socket client = listener.accept(); Socket server = dial()) {
                carry(client, server);
            } catch (IOException ended) {
                // The listener was closed, or a side went away: its call is lost, which is what this network is for.
            }
        }
    }

    /** The client speaks plain HTTP to the network, which speaks to the server as the endpoint says. */
    private static Socket dial() throws IOException {
        boolean sealed = World.ENDPOINT.getScheme().equals("https");
        SocketFactory sockets = sealed ? SSLSocketFactory.getDefault() : SocketFactory.getDefault();
        return sockets.createSocket(World.ENDPOINT.getHost(), World.ENDPOINT.getPort());
    }

    private void carry(Socket client, Socket server) throws IOException {
        server.getOutputStream().write(readMessage(client.getInputStream()));
        byte[] answer = readMessage(server.getInputStream());
        calls.incrementAndGet();
        if (losses.getAndDecrement() <= 0) {
            client.getOutputStream().write(answer);
        }
    }

    /** Head and body, both of this many bytes as Content-Length says. */
    private static byte[] readMessage(InputStream in) throws IOException {
        ByteArrayOutputStream message = new ByteArrayOutputStream();
        while (!message.toString(StandardCharsets.ISO_8859_1).endsWith("\r\n\r\n")) {
            int next = in.read();
            if (next < 0) {
                throw new IOException("ended within a head");
            }
            message.write(next);
        }
        Matcher length = LENGTH.matcher(message.toString(StandardCharsets.ISO_8859_1));
        if (length.find()) {
            message.write(in.readNBytes(Integer.parseInt(length.group(1))));
        }
        return message.toByteArray();
    }
}
