#include "tests/sim/anomaly/anomaly.h"

void libraries_run(void)
{
}
