import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.concurrent.TimeUnit;

/**
 * resilience4j's circuit breaker on a clock that the script moves: reads the commands that
 * test_breaker.py describes and prints what the breaker says after each.
 */
public final class BreakerJudge {
    private static final class ScriptClock extends Clock {
        private Instant now = Instant.EPOCH;

        @Override
        public Instant instant() {
            return now;
        }

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }

        void forward(long us) {
            now = now.plusNanos(us * 1000);
        }
    }

    private ScriptClock clock;
    private CircuitBreaker breaker;

    private void configure(String[] words) {
        clock = new ScriptClock();
        clock.forward(Long.parseLong(words[9]));
        CircuitBreakerConfig config = CircuitBreakerConfig.custom()
            .slidingWindow(Integer.parseInt(words[2]), Integer.parseInt(words[3]),
                words[1].equals("count") ? CircuitBreakerConfig.SlidingWindowType.COUNT_BASED
                                         : CircuitBreakerConfig.SlidingWindowType.TIME_BASED,
                CircuitBreakerConfig.SlidingWindowSynchronizationStrategy.SYNCHRONIZED)
            .failureRateThreshold(Float.parseFloat(words[4]))
            .slowCallRateThreshold(Float.parseFloat(words[5]))
            .slowCallDurationThreshold(Duration.ofNanos(Long.parseLong(words[6]) * 1000))
            .permittedNumberOfCallsInHalfOpenState(Integer.parseInt(words[7]))
            .waitDurationInOpenState(Duration.ofNanos(Long.parseLong(words[8]) * 1000))
            .clock(clock)
            .build();
        breaker = CircuitBreaker.of("judge", config);
    }

    private void defaults() {
        clock = new ScriptClock();
        breaker = CircuitBreaker.of("judge", CircuitBreakerConfig.custom().clock(clock).build());
    }

    /** Only what both sides allow: HALF_OPEN out of OPEN, OPEN where there is a window. */
    private boolean mayBecome(CircuitBreaker.State to) {
        CircuitBreaker.State from = breaker.getState();
        return switch (to) {
            case HALF_OPEN -> from == CircuitBreaker.State.OPEN;
            case OPEN -> from == CircuitBreaker.State.CLOSED || from == CircuitBreaker.State.HALF_OPEN;
            default -> from != to;
        };
    }

    private void force(CircuitBreaker.State to) {
        if (!mayBecome(to)) {
            return;
        }
        switch (to) {
            case CLOSED -> breaker.transitionToClosedState();
            case OPEN -> breaker.transitionToOpenState();
            case HALF_OPEN -> breaker.transitionToHalfOpenState();
            case DISABLED -> breaker.transitionToDisabledState();
            case FORCED_OPEN -> breaker.transitionToForcedOpenState();
            case METRICS_ONLY -> breaker.transitionToMetricsOnlyState();
        }
    }

    private String metrics() {
        CircuitBreaker.Metrics m = breaker.getMetrics();
        return String.format(" %.3f %.3f %d %d %d", m.getFailureRate(), m.getSlowCallRate(),
            m.getNumberOfBufferedCalls(), m.getNumberOfFailedCalls(), m.getNumberOfSlowCalls());
    }

    private String run(String line) {
        String[] words = line.split(" ");
        String more = "";
        switch (words[0]) {
            case "conf" -> configure(words);
            case "defaults" -> defaults();
            case "time" -> clock.forward(Long.parseLong(words[1]));
            case "acquire" -> more = breaker.tryAcquirePermission() ? " yes" : " no";
            case "release" -> breaker.releasePermission();
            case "success" -> {
                breaker.onSuccess(Long.parseLong(words[1]), TimeUnit.MICROSECONDS);
                more = metrics();
            }
            case "failure" -> {
                breaker.onError(Long.parseLong(words[1]), TimeUnit.MICROSECONDS,
                    new IOException("scripted"));
                more = metrics();
            }
            case "force" -> force(CircuitBreaker.State.valueOf(words[1]));
            default -> throw new IllegalArgumentException(line);
        }
        return breaker.getState() + " " + breaker.getMetrics().getNumberOfNotPermittedCalls() + more;
    }

    public static void main(String[] arguments) throws IOException {
        BreakerJudge judge = new BreakerJudge();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        PrintWriter out = new PrintWriter(System.out);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(judge.run(line));
        }
        out.flush();
    }
}
