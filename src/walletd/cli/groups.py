"""The headings under which ``walletd --help`` lists the commands and their options."""

from cyclopts import Group

DAEMON = Group("The daemon", sort_key=1)
MONEY = Group("Wallets and money", sort_key=2)
LOOKING = Group("Looking", sort_key=3)
MORE = Group("More", sort_key=4)

CONDITIONS = Group("Id and conditions", sort_key=8)
COMMON = Group("Common options", sort_key=9)
