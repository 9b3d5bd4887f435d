"""What fills the template databases of the real servers. A changed text makes new templates."""

from __future__ import annotations

SENDMAIL = """#!/bin/sh
# Stands in for sendmail: every message becomes one file, named by its time, and nothing leaves the machine.
name=$(date +%s%N)-$$
cat > "{mail}/$name.part" && mv "{mail}/$name.part" "{mail}/$name.eml"
"""

RT_CONFIG = """\
Set($rtname, 'rt.example'); Set($Organization, 'rt.example'); Set($Timezone, 'UTC');
Set($WebDomain, '127.0.0.1'); Set($WebPort, {port}); Set($WebPath, '');
Set($MailCommand, 'sendmailpipe'); Set($SendmailPath, '{sendmail}');
Set($CorrespondAddress, 'desk@rt.example'); Set($CommentAddress, 'desk-comment@rt.example');
Set($DatabaseType, 'SQLite'); Set($DatabaseName, '{folder}/rtdb');
Set($BcryptCost, 4);  # every request hashes its token; the default of 12 makes tests eight times slower
Set($LogToSyslog, undef); Set($LogToSTDERR, 'error');
$RT::MasonDataDir = '{folder}/mason'; $RT::MasonSessionDir = '{folder}/sess';
1;
"""

RT_SEED = r"""
use strict; use warnings;
use lib '/usr/share/request-tracker5/lib'; use RT -init; use JSON ();
my $system = RT->SystemUser;
my %rights = (
  sync => ['SuperUser'], agent => ['SuperUser'], revoked => ['SuperUser'],
  integration => [qw(ShowTicket ShowTicketComments ShowOutgoingEmail SeeQueue CommentOnTicket ModifyTicket
                     SeeCustomField ModifyCustomField AdminUsers ShowUserHistory)],
  reader => [qw(ShowTicket SeeQueue)],
);
my %tokens;
for my $name (sort keys %rights) {
  my $user = RT::User->new($system);
  my ($ok, $why) = $user->Create(Name => $name, Privileged => 1, RealName => ucfirst $name,
                                 EmailAddress => "$name\@staff.example");
  die $why unless $ok;
  for my $right (@{ $rights{$name} }) {
    ($ok, $why) = $user->PrincipalObj->GrantRight(Object => RT->System, Right => $right);
    die "$right: $why" unless $ok;
  }
  my $token = RT::AuthToken->new($system);
  my ($id, $msg, $text) = $token->Create(Owner => $user->id, Description => $name);
  die $msg unless $id;
  $tokens{$name} = $text;
  if ($name eq 'revoked') {
    my $dead = RT::AuthToken->new($system); $dead->Load($id);
    ($ok, $why) = $dead->Delete; die $why unless $ok;
  }
}
for my $field (['CRM Id', 'FreeformSingle'], ['Tags', 'FreeformMultiple'], ['Deal Stage', 'FreeformSingle'],
               ['Deal Amount', 'FreeformSingle'], ['Tier', 'SelectSingle']) {
  my $cf = RT::CustomField->new($system);
  my ($ok, $why) = $cf->Create(Name => $field->[0], Type => $field->[1], LookupType => 'RT::Queue-RT::Ticket');
  die $why unless $ok;
  if ($field->[0] eq 'Tier') { $cf->AddValue(Name => $_) for qw(gold silver bronze) }
  $cf->AddToObject(RT::Queue->new($system));
}
print JSON::encode_json(\%tokens);
"""

TRYTON_PASSWORD = "only-for-tests"

TRYTON_CONFIG = "[database]\nuri = sqlite://\npath = {folder}\n[web]\nlisten = 127.0.0.1:{port}\n"

TRYTON_SEED = """
from trytond import config
config.update_etc('trytond.conf')
from trytond.pool import Pool
from trytond.transaction import Transaction
Pool.start(); pool = Pool('crm'); pool.init(); get = pool.get
with Transaction().start('crm', 1):
    euro, = get('currency.currency').create([
        {'name': 'Euro', 'code': 'EUR', 'symbol': 'E', 'rates': [('create', [{'rate': 1}])]}])
    us, rep = get('party.party').create([{'name': 'Us', 'code': 'US'}, {'name': 'Sales Rep', 'code': 'REP'}])
    company, = get('company.company').create([{'party': us.id, 'currency': euro.id}])
    employee, = get('company.employee').create([{'party': rep.id, 'company': company.id}])
    user, = get('res.user').create([{
        'name': 'Sync', 'login': 'sync', 'companies': [('add', [company.id])], 'company': company.id,
        'employees': [('add', [employee.id])], 'employee': employee.id,
        'groups': [('add', [group.id for group in get('res.group').search([])])]}])
    application, = get('res.user.application').create([{'user': user.id, 'application': 'rest', 'state': 'validated'}])
    Transaction().commit()
    print(application.key, end='')
"""
