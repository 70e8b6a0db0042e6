/*
 * replay.c - the main() of a fuzz target where there is no libFuzzer: runs the inputs of corpus files.
 *
 * Owns: the format of a corpus file: an input a line, in hexadecimal; `#` begins a comment, an empty line is none.
 * What stands in it is checked like an input of any other origin: a line that is no hexadecimal is a failure.
 */
#include "fuzz.h"

static int digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One line's bytes, in place. Returns how many, or -1. */
static long decode(uint8_t *line, size_t length)
{
    if (length % 2 != 0)
        return -1;
    for (size_t i = 0; i < length; i += 2) {
        const int high = digit(line[i]);
        const int low = digit(line[i + 1]);
        if (high < 0 || low < 0)
            return -1;
        line[i / 2] = (uint8_t)(high << 4 | low);
    }
    return (long)(length / 2);
}

static long replay(const char *path)
{
    static uint8_t line[1 << 20];
    long inputs = 0;
    FILE *const file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    for (long number = 1; fgets((char *)line, sizeof line, file) != NULL; number++) {
        const size_t length = strcspn((char *)line, "\n");
        if (length == 0 || line[0] == '#')
            continue;
        const long size = decode(line, length);
        if (size < 0) {
            fprintf(stderr, "%s:%ld: not a line of hexadecimal\n", path, number);
            exit(1);
        }
        uint8_t *const input = fuzz_block(line, (size_t)size);
        LLVMFuzzerTestOneInput(input, (size_t)size);
        free(input);
        inputs++;
    }
    fclose(file);
    return inputs;
}

int main(int argc, char **argv)
{
    long inputs = 0;
    for (int i = 1; i < argc; i++)
        inputs += replay(argv[i]);
    printf("%s: %ld inputs held\n", strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0], inputs);
    return inputs == 0;
}
