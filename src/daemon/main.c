/* main.c - fildrive, and mount.fildrive: see verbs.h */
#include "daemon/verbs.h"

int main(int argc, char **argv)
{
	return verbs_main(argc, argv);
}
