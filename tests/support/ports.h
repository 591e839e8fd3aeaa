/* Addresses for tests on loopback. */
#ifndef TESTS_SUPPORT_PORTS_H
#define TESTS_SUPPORT_PORTS_H

#define TEST_ADDRESS_SIZE 40

/* A TCP port of loopback that was free a moment ago. CHECKs that there is one. */
unsigned test_free_port(void);
/* "tcp://127.0.0.1:<free port>". Returns out. */
char *test_free_address(char out[TEST_ADDRESS_SIZE]);

/* A plain TCP connection to such an address, for sending what a peer never
 * would. CHECKs that it stands; the caller closes it. */
int test_connect(const char *address);

#endif
