/*
 * wallet_verbs.h - what `fildrive wallet` is asked to do, between its files
 *
 * Each says what goes wrong, and returns an exit code.  Threading: one thread.
 */
#ifndef DAEMON_WALLET_VERBS_H
#define DAEMON_WALLET_VERBS_H

struct cli;

/* wallet_show.c */
int wallet_show(const struct cli *cli);
int wallet_history(const struct cli *cli);

/* wallet_pay.c: money and keys that sign */
int wallet_fund(const struct cli *cli, const char *text);
int wallet_withdraw(const struct cli *cli, const char *text);
int wallet_session(const struct cli *cli, const char *what);

/* wallet_key.c: the owner's key itself */
int wallet_export(const struct cli *cli);
int wallet_import(const struct cli *cli, const char *file);

#endif
