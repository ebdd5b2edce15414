/* Microseconds throughout; a kind of request that was not part of the mix has no row. */
#include "lib/report.h"

static const double percentiles[] = {50, 90, 99, 99.9, 99.99};
static const char *const percentile_names[] = {"p50", "p90", "p99", "p99.9", "p99.99"};
#define PERCENTILE_COUNT (sizeof(percentiles) / sizeof(percentiles[0]))

static void json_string(FILE *out, const char *text);
static void json_latencies(const struct load_result *result, FILE *out);

double report_busy(const struct load_result *result)
{
    return result->wall_s > 0 ? (result->user_s + result->system_s) / result->wall_s : 0;
}

double report_rate(const struct load_result *result)
{
    return result->wall_s > 0 ? (double)result->ok / result->wall_s : 0;
}

static double us_per_request(const struct load_result *result)
{
    double us = (result->user_s + result->system_s) * 1e6;
    return result->answered > 0 ? us / (double)result->answered : 0;
}

void report_table(const struct report *report, FILE *out)
{
    const struct load_result *result = report->result;
    fprintf(out, "%s: %.0f/s  (%llu ok in %.2f s, %u connections, %zu-byte values, %llu items)\n",
            report->label, report_rate(result), (unsigned long long)result->ok, result->wall_s,
            report->plan->connections, report->plan->target->value_len,
            (unsigned long long)report->plan->target->item_count);
    fprintf(out, "  %-9s %10s %9s", "latency", "count", "mean");
    for (size_t i = 0; i < PERCENTILE_COUNT; i++) {
        fprintf(out, " %9s", percentile_names[i]);
    }
    fprintf(out, " %9s   (us%s)\n", "max", report->plan->rate > 0 ? ", from when due" : "");
    for (size_t kind = 0; kind < REQUEST_KIND_COUNT; kind++) {
        const struct hist *hist = &result->latency_ns[kind];
        if (hist->total == 0) {
            continue;
        }
        fprintf(out, "  %-9s %10llu %9.0f", request_kind_name((enum request_kind)kind),
                (unsigned long long)hist->total, hist_mean(hist) / 1e3);
        for (size_t i = 0; i < PERCENTILE_COUNT; i++) {
            fprintf(out, " %9.0f", (double)hist_percentile(hist, percentiles[i]) / 1e3);
        }
        fprintf(out, " %9.0f\n", (double)hist->most / 1e3);
    }
    fprintf(out, "  crc       %llu right, %llu absent, %llu wrong\n",
            (unsigned long long)result->crc_right, (unsigned long long)result->crc_absent,
            (unsigned long long)result->crc_wrong);
    for (size_t i = 0; i < result->error_count; i++) {
        fprintf(out, "  error     %llu %s\n", (unsigned long long)result->errors[i].count,
                result->errors[i].name);
    }
    if (report->plan->rate > 0) {
        fprintf(out, "  offered   %.0f/s, %llu due but never sent\n", report->plan->rate,
                (unsigned long long)result->late);
    }
    fprintf(out, "  driver    %.1f %% of a core busy, %.2f us a request%s\n",
            report_busy(result) * 100, us_per_request(result),
            report_busy(result) > REPORT_BUSY_MAX ? "   VOID: above 90 %" : "");
}

void report_json(const struct report *report, FILE *out)
{
    const struct load_result *result = report->result;
    const struct load_plan *plan = report->plan;
    fprintf(out, "{\"mix\":");
    json_string(out, report->label);
    fprintf(out, ",\"endpoint\":");
    json_string(out, report->endpoint);
    fprintf(out,
            ",\"connections\":%u,\"items\":%llu,\"size\":%zu,\"offered_rate\":%.3f,"
            "\"warmup_s\":%.3f,\"wall_s\":%.6f,\"rate\":%.1f,\"answered\":%llu,\"ok\":%llu,"
            "\"late\":%llu",
            plan->connections, (unsigned long long)plan->target->item_count,
            plan->target->value_len, plan->rate, (double)plan->warmup_ns / 1e9, result->wall_s,
            report_rate(result), (unsigned long long)result->answered,
            (unsigned long long)result->ok, (unsigned long long)result->late);
    fprintf(out, ",\"crc\":{\"right\":%llu,\"absent\":%llu,\"wrong\":%llu}",
            (unsigned long long)result->crc_right, (unsigned long long)result->crc_absent,
            (unsigned long long)result->crc_wrong);
    fprintf(out,
            ",\"driver\":{\"busy\":%.4f,\"user_s\":%.4f,\"system_s\":%.4f,"
            "\"us_per_request\":%.3f,\"void\":%s},\"errors\":{",
            report_busy(result), result->user_s, result->system_s, us_per_request(result),
            report_busy(result) > REPORT_BUSY_MAX ? "true" : "false");
    for (size_t i = 0; i < result->error_count; i++) {
        fprintf(out, "%s", i == 0 ? "" : ",");
        json_string(out, result->errors[i].name);
        fprintf(out, ":%llu", (unsigned long long)result->errors[i].count);
    }
    fprintf(out, "},\"latency_us\":{");
    json_latencies(result, out);
    fprintf(out, "},\"per_second\":[");
    for (size_t i = 0; i < result->second_count; i++) {
        fprintf(out, "%s%u", i == 0 ? "" : ",", result->per_second[i]);
    }
    fprintf(out, "],\"slot_p99_us\":[");
    for (size_t i = 0; i < result->slot_count; i++) {
        fprintf(out, "%s%u", i == 0 ? "" : ",", result->slot_p99_us[i]);
    }
    fprintf(out, "]}\n");
}

static void json_latencies(const struct load_result *result, FILE *out)
{
    const char *comma = "";
    for (size_t kind = 0; kind < REQUEST_KIND_COUNT; kind++) {
        const struct hist *hist = &result->latency_ns[kind];
        if (hist->total == 0) {
            continue;
        }
        fprintf(out, "%s\"%s\":{\"count\":%llu,\"mean\":%.1f,\"min\":%.1f", comma,
                request_kind_name((enum request_kind)kind), (unsigned long long)hist->total,
                hist_mean(hist) / 1e3, (double)hist->least / 1e3);
        for (size_t i = 0; i < PERCENTILE_COUNT; i++) {
            fprintf(out, ",\"%s\":%.1f", percentile_names[i],
                    (double)hist_percentile(hist, percentiles[i]) / 1e3);
        }
        fprintf(out, ",\"max\":%.1f}", (double)hist->most / 1e3);
        comma = ",";
    }
}

/* Names are ASCII out of error types and the command line; what JSON would escape is left out. */
static void json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != 0; text++) {
        if (*text >= ' ' && *text <= '~' && *text != '"' && *text != '\\') {
            fputc(*text, out);
        }
    }
    fputc('"', out);
}
