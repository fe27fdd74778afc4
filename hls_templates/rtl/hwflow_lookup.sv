// Activation through a table: y = table[cast(x)] in every lane, sigmoid, tanh and every other function of one element.
//
//   LANES       elements of a beat
//   IN_*        type of x
//   INDEX_*     type that x is cast to, with ROUNDING and OVERFLOW as hwflow_cast has them; its bits are the address
//   OUT_W       bits of an entry
//   TABLE_FILE  $readmemh file of 2^INDEX_W words; "": word i is i
//   LOADABLE    1: port B, mb_*, reads and writes the table, a word at an address, at any time: what it writes is in the
//               tables of all lanes, what it reads is that of lane 0
//
// Every lane has a table of its own, in block RAM where it is large. No fault model reaches it: it lies beside the
// memories of the weights, as biases and constants do.
//
// Timing: 5 cycles (cast, read, register, and hwflow_catch), one beat a cycle; s_tready comes from a register.
// Port B 1 cycle; it holds its output while it is not enabled.

`default_nettype none

module hwflow_lookup #(
    parameter int LANES        = 1,
    parameter int IN_W         = 16,
    parameter int IN_FRAC      = 10,
    parameter int IN_SIGNED    = 1,
    parameter int INDEX_W      = 10,
    parameter int INDEX_FRAC   = 6,
    parameter int INDEX_SIGNED = 1,
    parameter int ROUNDING     = 2,
    parameter int OVERFLOW     = 1,
    parameter int OUT_W        = 16,
    parameter TABLE_FILE       = "",
    parameter int LOADABLE     = 0,
    localparam int MADDR_W     = (LOADABLE != 0) ? INDEX_W : 1,
    localparam int MEM_W       = (LOADABLE != 0) ? OUT_W : 1
) (
    input  wire                    clk_i,
    input  wire                    rst_ni,

    input  wire  [ LANES*IN_W-1:0] s_tdata,
    input  wire                    s_tvalid,
    output logic                   s_tready,

    output logic [LANES*OUT_W-1:0] m_tdata,
    output logic                   m_tvalid,
    input  wire                    m_tready,

    input  wire                    mb_en_i,
    input  wire                    mb_we_i,
    input  wire  [    MADDR_W-1:0] mb_addr_i,
    input  wire  [      MEM_W-1:0] mb_wdata_i,
    output logic [      MEM_W-1:0] mb_rdata_o
);

    localparam int DONE_AT = 3;
    localparam int ENTRIES = 1 << INDEX_W;

    if (LANES < 1) begin : gen_error_lanes
        initial $fatal(1, "hwflow_lookup: LANES (%0d) must be positive", LANES);
    end
    if (INDEX_W < 1 || INDEX_W > 16) begin : gen_error_index
        initial $fatal(1, "hwflow_lookup: INDEX_W (%0d) must be 1 to 16", INDEX_W);
    end

    wire take = s_tvalid && s_tready;
    logic [DONE_AT-1:0] valid_reg;
    logic [LANES*OUT_W-1:0] y_reg;

    for (genvar lane = 0; lane < LANES; lane++) begin : gen_lane
        wire [INDEX_W-1:0] index;

        hwflow_cast #(
            .IN_W(IN_W), .IN_FRAC(IN_FRAC), .IN_SIGNED(IN_SIGNED),
            .OUT_W(INDEX_W), .OUT_FRAC(INDEX_FRAC), .OUT_SIGNED(INDEX_SIGNED),
            .ROUNDING(ROUNDING), .OVERFLOW(OVERFLOW), .REGISTER(1)
        ) cast_lane (
            .clk_i(clk_i),
            .code_i(s_tdata[lane*IN_W+:IN_W]),
            .code_o(index)
        );

        logic [OUT_W-1:0] read_reg;

        if (LOADABLE == 0) begin : gen_rom
            logic [OUT_W-1:0] rom [0:ENTRIES-1];

            if (TABLE_FILE != "") begin : gen_load
                initial $readmemh(TABLE_FILE, rom);
            end else begin : gen_plain
                initial for (int i = 0; i < ENTRIES; i++) rom[i] = OUT_W'(i);
            end

            always_ff @(posedge clk_i) read_reg <= rom[index];
        end else begin : gen_ram
            // no_rw_check tells Yosys that reading what is being written is not defined.
            (* no_rw_check *)
            logic [OUT_W-1:0] ram [0:ENTRIES-1];
            logic [OUT_W-1:0] b_reg;

            if (TABLE_FILE != "") begin : gen_load
                initial $readmemh(TABLE_FILE, ram);
            end else begin : gen_plain
                initial for (int i = 0; i < ENTRIES; i++) ram[i] = OUT_W'(i);
            end

            always_ff @(posedge clk_i) begin
                read_reg <= ram[index];
                if (mb_en_i) begin
                    if (mb_we_i) ram[mb_addr_i] <= mb_wdata_i;
                    b_reg <= ram[mb_addr_i];
                end
            end

            if (lane == 0) begin : gen_read
                assign mb_rdata_o = b_reg;
            end else begin : gen_write
                wire unused_read = &{1'b0, b_reg};
            end
        end

        always_ff @(posedge clk_i) y_reg[lane*OUT_W+:OUT_W] <= read_reg;
    end

    if (LOADABLE == 0) begin : gen_no_port_b
        wire unused_port_b = &{1'b0, mb_en_i, mb_we_i, mb_addr_i, mb_wdata_i};
        assign mb_rdata_o = '0;
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) valid_reg <= '0;
        else valid_reg <= {valid_reg[DONE_AT-2:0], take};
    end

    hwflow_catch #(
        .WIDTH (LANES * OUT_W),
        .DEPTH (DONE_AT + 5)
    ) results (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .begin_i  (take),
        .room_o   (s_tready),
        .valid_i  (valid_reg[DONE_AT-1]),
        .data_i   (y_reg),
        .m_tdata  (m_tdata),
        .m_tvalid (m_tvalid),
        .m_tready (m_tready)
    );

endmodule

`default_nettype wire
