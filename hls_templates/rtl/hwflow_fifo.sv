// Stream FIFO: decouples two neighbours, and holds the short branch of a skip connection while the
// long one computes.
//
//   WIDTH  bits of a beat
//   DEPTH  beats in the memory, any number from 1
//   BLOCK  1: the memory is block RAM, 0: LUTs, see hwflow_ram
//
// Behind the memory there is an output register, which holds a beat more: of LUTs that of the memory, of block RAM
// another one, so that nothing but a wire lies between the two. There the memory reads the oldest beat in every cycle,
// until the output register takes it. s_tready and m_t* come from registers.
//
// Timing: 2 cycles from input to output, 3 of block RAM; one beat a cycle. DEPTH = 1 takes a beat every other cycle; of
// block RAM every third, and DEPTH = 2 two in three.

`default_nettype none

module hwflow_fifo #(
    parameter int WIDTH = 16,
    parameter int DEPTH = 4,
    parameter int BLOCK = (DEPTH > 32 && WIDTH * DEPTH > 1024) ? 1 : 0
) (
    input  wire              clk_i,
    input  wire              rst_ni,

    input  wire  [WIDTH-1:0] s_tdata,
    input  wire              s_tvalid,
    output logic             s_tready,

    output logic [WIDTH-1:0] m_tdata,
    output logic             m_tvalid,
    input  wire              m_tready
);

    localparam int INDEX_W = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam int COUNT_W = $clog2(DEPTH + 1);
    localparam logic [INDEX_W-1:0] LAST = INDEX_W'(DEPTH - 1);
    localparam logic [COUNT_W-1:0] ALL_BUT_ONE = COUNT_W'(DEPTH - 1);

    if (WIDTH < 1 || DEPTH < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_fifo: WIDTH (%0d) and DEPTH (%0d) must be positive", WIDTH, DEPTH);
    end

    logic [INDEX_W-1:0] write_index_reg, read_index_reg;
    logic [COUNT_W-1:0] count_reg;  // beats in the memory
    logic full_reg, empty_reg;      // of the memory; a block RAM is empty until it has read what it holds
    logic valid_reg;                // of the output register

    wire write = s_tvalid && !full_reg;
    wire take  = !empty_reg && (!valid_reg || m_tready);

    assign s_tready = !full_reg;
    assign m_tvalid = valid_reg;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            write_index_reg <= '0;
            count_reg <= '0;
            full_reg <= 1'b0;
            empty_reg <= 1'b1;
            valid_reg <= 1'b0;
        end else begin
            if (write) write_index_reg <= (write_index_reg == LAST) ? '0 : write_index_reg + 1'b1;
            if (write && !take) begin
                count_reg <= count_reg + 1'b1;
                full_reg  <= count_reg == ALL_BUT_ONE;
            end
            if (take && !write) begin
                count_reg <= count_reg - 1'b1;
                full_reg  <= 1'b0;
            end
            empty_reg <= (take ? count_reg == COUNT_W'(1) : count_reg == '0) && (BLOCK != 0 || !write);
            if (take) valid_reg <= 1'b1;
            else if (m_tready) valid_reg <= 1'b0;
        end
    end

    if (BLOCK != 0) begin : gen_block
        logic [INDEX_W-1:0] next_index_reg;
        logic [WIDTH-1:0] data_reg;
        wire [WIDTH-1:0] read_data;

        hwflow_ram #(
            .WIDTH (WIDTH),
            .DEPTH (DEPTH),
            .BLOCK (1)
        ) memory (
            .clk_i        (clk_i),
            .write_en_i   (write),
            .write_addr_i (write_index_reg),
            .write_data_i (s_tdata),
            .read_en_i    (1'b1),
            .read_addr_i  (take ? next_index_reg : read_index_reg),
            .read_data_o  (read_data)
        );

        always_ff @(posedge clk_i) begin
            if (take) data_reg <= read_data;
            if (!rst_ni) begin
                read_index_reg <= '0;
                next_index_reg <= (DEPTH > 1) ? INDEX_W'(1) : '0;
            end else if (take) begin
                read_index_reg <= next_index_reg;
                next_index_reg <= (next_index_reg == LAST) ? '0 : next_index_reg + 1'b1;
            end
        end

        assign m_tdata = data_reg;
    end else begin : gen_lut
        hwflow_ram #(
            .WIDTH (WIDTH),
            .DEPTH (DEPTH),
            .BLOCK (0)
        ) memory (
            .clk_i        (clk_i),
            .write_en_i   (write),
            .write_addr_i (write_index_reg),
            .write_data_i (s_tdata),
            .read_en_i    (take),
            .read_addr_i  (read_index_reg),
            .read_data_o  (m_tdata)
        );

        always_ff @(posedge clk_i) begin
            if (!rst_ni) read_index_reg <= '0;
            else if (take) read_index_reg <= (read_index_reg == LAST) ? '0 : read_index_reg + 1'b1;
        end
    end

endmodule

`default_nettype wire
